-- Findings that somebody confirmed, and those that are a fault of the data because somebody, or the gate and nobody else,
-- says so (wrong): node, class, verdict and days with what was sold. What the gate took back as the data were corrected
-- (:corrections, its words) is none. A lasting change that is real is the level to forecast from: it is not among them.
-- Nor is, as it was once written without a word of which days that was, a region of which some series only went far.
SELECT level, class, product_category, region, store, disposition, explanation -> 'days' AS days,
       disposition IS DISTINCT FROM 'confirmed' OR kind = 'DATA_QUALITY' AS wrong  -- confirmed: that it is a fault
FROM anomaly_log
WHERE (disposition = 'data_issue'
       OR (disposition = 'confirmed' AND class NOT IN ('LEVEL_SHIFT', 'TREND_CHANGE'))
       OR (disposition IS NULL AND kind = 'DATA_QUALITY'
           AND (status <> 'RESOLVED' OR note IS NULL OR note <> ALL(CAST(:corrections AS text[])))))
  AND (explanation #> '{facts,some}' IS NULL OR jsonb_path_exists(explanation, '$.days[*].some'))
ORDER BY id
