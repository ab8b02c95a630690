-- The summary of the newest detection that ended on a day, and the newest day any detection looked at.
SELECT (SELECT summary FROM detection_run WHERE status = 'done' AND scope = '' AND as_of = :as_of
        ORDER BY data_version DESC, id DESC LIMIT 1) AS summary,
       (SELECT max(as_of) FROM detection_run WHERE status = 'done' AND scope = '') AS checked_until
