-- What a request did is found by its id, the one its answer and its log lines carry.
CREATE INDEX audit_request ON audit (request_id) WHERE request_id IS NOT NULL;
