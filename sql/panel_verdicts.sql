-- Findings that somebody confirmed, or called a fault of the data: node, class, verdict and days with what was sold. A
-- lasting change that is real is the level to forecast from: it is not among them. Nor is, as it was once written
-- without a word of which days that was, a region of which some series only went far.
SELECT level, class, product_category, region, store, disposition, explanation -> 'days' AS days
FROM anomaly_log
WHERE (disposition = 'data_issue'
       OR (disposition = 'confirmed' AND class NOT IN ('LEVEL_SHIFT', 'TREND_CHANGE')))
  AND (explanation #> '{facts,some}' IS NULL OR jsonb_path_exists(explanation, '$.days[*].some'))
ORDER BY id
