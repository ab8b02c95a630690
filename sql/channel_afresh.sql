-- Channels that failed because of a setting may be tried at once.
UPDATE channel_state SET next_probe_at = '-infinity' WHERE setup
