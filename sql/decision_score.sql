-- Notes what came of a decision.
UPDATE decision SET outcome = :outcome, status = :status WHERE id = :id AND outcome IS NULL
