-- Keeps pushed rows for the worker; their id.
INSERT INTO pushed (table_name, rows, accept, who) VALUES (:table, :rows, :accept, :who) RETURNING id
