-- Named events past and future: the events table, and what market_factors names as everywhere's.
SELECT date_id, region, event
FROM events
UNION
SELECT date_id, '', seasonal_events
FROM market_factors
WHERE lower(btrim(seasonal_events)) NOT IN ('', '-', 'none', 'null', 'no', 'n/a', 'na', 'normal', 'regular')
