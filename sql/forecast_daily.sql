-- The daily forecast of some series of a run; price is money per unit, which quantiles take too.
SELECT f.series_id, f.date_id, f.mean, f.q025, f.q05, f.q10, f.q25, f.q50, f.q75, f.q90, f.q95, f.q975,
       f.money, COALESCE(f.money / NULLIF(f.mean, 0), r.unit_price) AS price
FROM forecast f JOIN run_series r ON r.run_id = f.run_id AND r.series_id = f.series_id
WHERE f.run_id = :run_id AND f.series_id = ANY(:series_ids)
ORDER BY f.series_id, f.date_id
