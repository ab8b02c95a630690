-- Whether any message was written under this key: known.
SELECT EXISTS (SELECT FROM outbox WHERE starts_with(dedup_key, :key)) AS known
