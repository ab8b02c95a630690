-- Whether the database holds the demo retailer, made with its truth.
SELECT to_regclass('demo_truth.arguments') IS NOT NULL AS demo
