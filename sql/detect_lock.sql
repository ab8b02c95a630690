-- Waits for its turn to detect, which is ours until the transaction ends, and gives the pass the time a first look takes.
SELECT set_config('statement_timeout', '300000', true), set_config('lock_timeout', '120000', true),
       pg_advisory_xact_lock(:number, hashtext(:scope))::text
