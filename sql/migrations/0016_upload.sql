-- How the columns of a file of this shape were understood last time; the shape is a hash of its header.
CREATE TABLE upload_mapping (
    shape      text PRIMARY KEY,
    mapping    jsonb NOT NULL,
    file_name  text,
    used_by    text NOT NULL,
    used_at    timestamptz NOT NULL DEFAULT now()
);
