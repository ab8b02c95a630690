-- Wakes whoever delivers messages.
SELECT pg_notify('trendcast_mail', '')::text AS notified
