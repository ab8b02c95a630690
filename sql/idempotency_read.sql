-- What a key was used for: whether for the same request, and the answer (status null: it is still being done).
SELECT request = decode(:request, 'hex') AS same, status, headers, answer
FROM idempotency WHERE who = :who AND address = :address AND key = :key
