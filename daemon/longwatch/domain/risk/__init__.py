"""What may leave: the table of limits row by row, the worst case it is asked of, and the verbs that hold back."""
