-- Holds back messages of what matches until a moment; its id.
INSERT INTO suppression (matcher, until, reason, who, created_at)
VALUES (CAST(:matcher AS jsonb), :until, :reason, :who, :now)
RETURNING id
