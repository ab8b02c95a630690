-- The database's time, which alone decides what is due.
SELECT now() AS now
