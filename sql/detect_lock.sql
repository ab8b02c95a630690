-- Waits for its turn to detect, which is ours until the transaction ends, and gives the pass the time a first look takes,
-- also between two statements, and the memory to pack many series without files. A dry run only needs these.
-- store.silence reads the time out of the words set_config('statement_timeout', 'N', true): keep them so.
SELECT set_config('work_mem', '128MB', true),
       set_config('statement_timeout', '300000', true), set_config('lock_timeout', '120000', true),
       set_config('idle_in_transaction_session_timeout', '600000', true),
       CASE WHEN :turn THEN pg_advisory_xact_lock(:number, hashtext(''))::text END
