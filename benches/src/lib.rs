//! Figures: what each protocol costs, beside the limit of the machine.
