-- Minutes since sync last looked at every day of a source; no row before the first time.
SELECT extract(epoch FROM now() - full_at) / 60 AS minutes FROM sync_source WHERE source = :source
