-- Note what sync saw of some days of a source.
INSERT INTO sync_day (source, day, rows, mark)
SELECT :source, * FROM unnest(CAST(:days AS text[]), CAST(:rows AS bigint[]), CAST(:marks AS text[]))
ON CONFLICT (source, day) DO UPDATE SET rows = excluded.rows, mark = excluded.mark, seen_at = now()
