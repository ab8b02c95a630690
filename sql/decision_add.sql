-- Adds a decision in place of the one it replaces; no row when that one was replaced already.
INSERT INTO decision (run_id, product_category, region, recommendation, decision, value, reason_code, reason, owner, due_on,
                      replaces, decided_by, decided_at)
VALUES (:run_id, :product_category, :region, :recommendation, :decision, :value, :reason_code, :reason, :owner, :due_on,
        :replaces, :who, :at)
ON CONFLICT (replaces) DO NOTHING
RETURNING id
