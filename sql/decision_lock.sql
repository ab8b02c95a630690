-- Waits until nobody else decides on the same piece of advice; held until the transaction ends.
SELECT pg_advisory_xact_lock(:number, hashtext(concat_ws(chr(31), CAST(:run_id AS bigint), CAST(:product_category AS text),
                                                         CAST(:region AS text))))::text AS held
