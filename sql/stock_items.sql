-- What the retailer says of its categories: costs, lots, limits and wanted service.
SELECT product_category, unit_cost, holding_rate, order_cost, moq, order_multiple, max_stock,
       shelf_life_days::double precision AS shelf_life_days, target_service
FROM item_params
