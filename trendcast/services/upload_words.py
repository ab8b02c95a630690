"""What retailers call the columns of their exports, in the languages around us; the likeliest word of a role first.

All in plain form (upload_values.plain): lower case, without accents, words apart by a blank.
"""

from __future__ import annotations

WORDS: dict[str, tuple[str, ...]] = {
    "date": (
        *("date id", "date", "datum", "tag", "day", "sales date", "order date", "invoice date", "transaction date"),
        *(
            "verkaufsdatum",
            "buchungsdatum",
            "belegdatum",
            "kalendertag",
            "verkaufstag",
            "fecha",
            "jour",
            "dia",
            "giorno",
        ),
        *(
            "data",
            "dag",
            "ds",
            "dt",
            "timestamp",
            "time",
            "week",
            "woche",
            "month",
            "monat",
            "period",
            "semaine",
            "mois",
        ),
    ),
    "category": (
        *("product category", "category", "kategorie", "produktkategorie", "warengruppe", "produktgruppe", "categorie"),
        *(
            "product group",
            "product line",
            "department",
            "dept",
            "categoria",
            "sortiment",
            "family",
            "famille",
            "rayon",
        ),
        *(
            "item category",
            "sub category",
            "subcategory",
            "gruppe",
            "group",
            "product",
            "produkt",
            "produit",
            "producto",
        ),
        *("article", "artikel", "item", "item name", "product name", "item id", "sku", "stock code", "product id"),
        *("brand", "marke", "description", "beschreibung", "bezeichnung", "artikelnummer", "item nbr"),
    ),
    "region": (
        *("region", "bundesland", "state", "country", "land", "gebiet", "territory", "market", "province", "area"),
        *("pays", "pais", "regione", "zone", "district", "city", "stadt", "ort", "ville", "ciudad", "sales region"),
    ),
    "store": (
        *("store", "store id", "store nbr", "store number", "store name", "shop", "filiale", "filialnummer", "branch"),
        *("outlet", "markt", "standort", "laden", "magasin", "tienda", "negozio", "location", "warehouse", "shop id"),
    ),
    "units": (
        *("sales units", "units", "unit sales", "units sold", "quantity", "qty", "menge", "absatz", "stuck", "stueck"),
        *(
            "verkaufte menge",
            "verkaufte stuck",
            "anzahl",
            "pieces",
            "items sold",
            "quantity sold",
            "quantite",
            "cantidad",
        ),
        *(
            "unidades",
            "quantita",
            "order quantity",
            "sold",
            "demand",
            "volume",
            "stk",
            "y",
            "sales",
            "verkaufe",
            "ventes",
        ),
        *("ventas", "vendite", "verkauf", "amount sold", "value", "anzahl verkauft"),
    ),
    "revenue": (
        *("sales revenue", "revenue", "umsatz", "turnover", "sales amount", "net sales", "gross sales", "sales value"),
        *(
            "erlos",
            "nettoumsatz",
            "umsatz netto",
            "umsatz brutto",
            "bruttoumsatz",
            "chiffre d affaires",
            "ca",
            "ingresos",
        ),
        *("fatturato", "total price", "line total", "amount", "betrag", "total sales", "importe", "montant", "sales"),
    ),
    "price": (
        *("unit price", "price", "preis", "einzelpreis", "stuckpreis", "verkaufspreis", "sell price", "prix", "precio"),
        *("prezzo", "prix unitaire", "selling price", "vk", "vk preis", "average price", "avg price", "retail price"),
    ),
    "promotion": (
        *("promotion flag", "promotion", "promo", "on promotion", "onpromotion", "aktion", "werbung", "promo flag"),
        *("in promo", "is promo", "campaign", "kampagne", "deal", "offer", "angebot", "discount", "rabatt", "oferta"),
    ),
    "open": ("open flag", "open", "is open", "geoffnet", "offen", "ouvert", "abierto", "aperto"),
    "weather": ("weather condition", "weather", "wetter", "meteo", "clima", "tempo"),
}
# Role -> what its column may hold.
KINDS: dict[str, tuple[str, ...]] = {
    "date": ("day", "period"),
    "category": ("name",),
    "region": ("name",),
    "store": ("name",),
    "units": ("number", "flag"),
    "revenue": ("number", "flag"),
    "price": ("number",),
    "promotion": ("flag", "number", "name"),
    "open": ("flag", "number"),
    "weather": ("name",),
}
