-- One row when this channel may be tried now: always while it works; of a failing one, one try per :pause seconds
-- (:pause_setup where a setting is wrong). While a probe is out, next_probe_at lies in the future.
UPDATE channel_state
SET next_probe_at = CASE WHEN failures >= :limit
                         THEN now() + CASE WHEN setup THEN :pause_setup ELSE :pause END * interval '1 second'
                         ELSE next_probe_at END
WHERE channel = :channel AND (failures < :limit OR next_probe_at <= now())
RETURNING channel
