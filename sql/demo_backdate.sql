-- The demo retailer's past: what was written since :since was written :back seconds earlier. Nothing else calls this.
UPDATE load_batch SET created_at = created_at - make_interval(secs => :back),
    committed_at = committed_at - make_interval(secs => :back)
WHERE created_at >= :since::timestamptz;
UPDATE fact_history SET replaced_at = replaced_at - make_interval(secs => :back)
WHERE replaced_at >= :since::timestamptz;
UPDATE audit SET at = at - make_interval(secs => :back) WHERE at >= :since::timestamptz;
UPDATE run SET created_at = created_at - make_interval(secs => :back),
    published_at = published_at - make_interval(secs => :back)
WHERE created_at >= :since::timestamptz;
UPDATE forecast_log SET
    created_at = CASE WHEN created_at >= :since::timestamptz THEN created_at - make_interval(secs => :back) ELSE created_at END,
    scored_at = CASE WHEN scored_at >= :since::timestamptz THEN scored_at - make_interval(secs => :back) ELSE scored_at END
WHERE created_at >= :since::timestamptz OR scored_at >= :since::timestamptz;
UPDATE detection_run SET started = started - make_interval(secs => :back), finished = finished - make_interval(secs => :back)
WHERE started >= :since::timestamptz;
UPDATE incident SET
    created_at = CASE WHEN created_at >= :since::timestamptz THEN created_at - make_interval(secs => :back) ELSE created_at END,
    acked_at = CASE WHEN acked_at >= :since::timestamptz THEN acked_at - make_interval(secs => :back) ELSE acked_at END,
    resolved_at = CASE WHEN resolved_at >= :since::timestamptz THEN resolved_at - make_interval(secs => :back) ELSE resolved_at END
WHERE greatest(created_at, acked_at, resolved_at) >= :since::timestamptz;
UPDATE anomaly_log SET
    created_at = CASE WHEN created_at >= :since::timestamptz THEN created_at - make_interval(secs => :back) ELSE created_at END,
    detected_at = CASE WHEN detected_at >= :since::timestamptz THEN detected_at - make_interval(secs => :back) ELSE detected_at END,
    data_available_at = CASE WHEN data_available_at >= :since::timestamptz
                             THEN data_available_at - make_interval(secs => :back) ELSE data_available_at END,
    acked_at = CASE WHEN acked_at >= :since::timestamptz THEN acked_at - make_interval(secs => :back) ELSE acked_at END,
    resolved_at = CASE WHEN resolved_at >= :since::timestamptz THEN resolved_at - make_interval(secs => :back) ELSE resolved_at END
WHERE greatest(created_at, detected_at, data_available_at, acked_at, resolved_at) >= :since::timestamptz;
UPDATE anomaly_event SET at = at - make_interval(secs => :back) WHERE at >= :since::timestamptz;
UPDATE decision SET decided_at = decided_at - make_interval(secs => :back) WHERE decided_at >= :since::timestamptz;
UPDATE suppression SET created_at = created_at - make_interval(secs => :back) WHERE created_at >= :since::timestamptz;
UPDATE outbox SET created = created - make_interval(secs => :back) WHERE created >= :since::timestamptz
