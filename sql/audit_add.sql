-- Notes what somebody did; returns nothing.
INSERT INTO audit (actor, action, object, after) VALUES (:actor, :action, :object, :after)
