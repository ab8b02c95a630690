-- Pushed rows that wait: table_name, rows, accept, who.
SELECT table_name, rows, accept, who FROM pushed WHERE id = :id
