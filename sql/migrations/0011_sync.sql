-- What sync saw of the customer's tables: per day the rows and a mark of their content. A day whose mark changed is read
-- again, whichever day it is; the source's own tables need no keys, no timestamps and no triggers for that.
CREATE TABLE sync_day (
    source  text NOT NULL,       -- hash of the source's address, table and columns: another source starts anew
    day     text NOT NULL,       -- as the source has it, '' for none
    rows    bigint NOT NULL,
    mark    text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, day)
);
