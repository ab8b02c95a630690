-- Note that every day of a source was looked at just now.
INSERT INTO sync_source (source) VALUES (:source) ON CONFLICT (source) DO UPDATE SET full_at = now()
