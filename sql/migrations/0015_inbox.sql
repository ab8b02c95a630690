-- Reading the inbox by money and by state, and what an entry says of its episode beside its worst day.
ALTER TABLE anomaly_log
    ADD COLUMN last_day   date,                             -- the newest day of the episode that was notable
    ADD COLUMN loss_units double precision,                 -- units missing or too many over the episode's days
    ADD COLUMN cause      text NOT NULL DEFAULT '',         -- a few words: calendar, stock-out, a whole region, ...
    ADD COLUMN lead       boolean NOT NULL DEFAULT false;   -- the entry its incident is about; the others are members
CREATE INDEX incident_status ON incident (status, created_at DESC);
CREATE INDEX anomaly_log_newest_day ON anomaly_log (last_day DESC);
