-- Marks every incident as told in its present state.
UPDATE incident
SET told = jsonb_build_object('impact', impact, 'members', members, 'status', status, 'reason', 'hushed', 'n', 0,
                              'at', :now::timestamptz)
WHERE told IS NULL OR told ->> 'reason' = 'hushed'
