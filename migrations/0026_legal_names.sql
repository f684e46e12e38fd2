-- A legal name is what an operator has set. Until now it was a copy of the merchant's name; empty: nobody has set one.
UPDATE merchant_terms SET legal_name = '';
