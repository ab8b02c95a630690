-- A message that will not be sent, and why; returns nothing.
UPDATE outbox SET status = 'CANCELLED', last_error = :reason WHERE id = :id
