-- One row when this channel may be tried now: always while it works; of a failing one, one try per :pause seconds.
UPDATE channel_state
SET next_probe_at = CASE WHEN failures >= :limit THEN now() + :pause * interval '1 second' ELSE next_probe_at END
WHERE channel = :channel AND (failures < :limit OR next_probe_at <= now())
RETURNING channel
