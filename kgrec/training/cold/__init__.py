"""Items and users without interactions, scored through what else is known of them."""
