-- Notes what somebody did, with the request it came by; returns nothing. `before` may be left out.
INSERT INTO audit (actor, action, object, before, after, address, request_id)
VALUES (:actor, :action, :object, CAST(:before AS jsonb), :after, nullif(:request_address, ''), nullif(:request_id, ''))
