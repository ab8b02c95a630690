-- Market factors of the days known, oldest first.
SELECT date_id, economic_index, competitor_promotion_intensity, social_media_mentions
FROM market_factors
WHERE date_id BETWEEN :first_day AND :last_day
ORDER BY date_id
