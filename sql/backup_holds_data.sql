-- Whether anything was ever loaded: holds_data.
SELECT EXISTS (SELECT FROM load_batch) AS holds_data
