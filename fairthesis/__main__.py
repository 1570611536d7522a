from fairthesis.cli import main

main()
