-- Named events past and future: those of the events table, what market_factors names as everywhere's, and what people said
-- was to be expected.
SELECT date_id, region, event FROM known_events
