from results.rows import main

main()
