-- Reading the inbox by money and by state.
CREATE INDEX incident_status ON incident (status, created_at DESC);
