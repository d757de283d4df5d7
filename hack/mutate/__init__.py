"""`make mutate`: takes each guard and each gate out of a scratch copy and shows the tests that turn red."""
