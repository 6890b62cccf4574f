"""Events as metrics, and statements as spans, with the real libraries."""
