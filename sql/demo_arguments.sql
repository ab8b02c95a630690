-- What the demo retailer was drawn with.
SELECT arguments FROM demo_truth.arguments
