-- What sync saw of a source, by day.
SELECT day, rows, mark FROM sync_day WHERE source = :source
