-- Weekly forecast rows of the given series of one run: series_id, date (the Monday), mean and nine quantiles, money
-- and price.
SELECT f.series_id, f.week AS date, f.mean, f.q025, f.q05, f.q10, f.q25, f.q50, f.q75, f.q90, f.q95, f.q975,
       f.money, COALESCE(f.money / NULLIF(f.mean, 0), r.unit_price) AS price
FROM forecast_week f JOIN run_series r ON r.run_id = f.run_id AND r.series_id = f.series_id
WHERE f.run_id = :run_id AND f.series_id = ANY(:series_ids)
  AND f.week BETWEEN :first AND :last
ORDER BY f.series_id, f.week
