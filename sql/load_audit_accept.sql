-- Note who accepted a batch that was held.
INSERT INTO audit (actor, action, object, after) VALUES (:actor, 'accept batch', :object, :after)
