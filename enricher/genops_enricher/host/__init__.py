"""What the service needs of the machine: the data folder, files that change, open files, memory."""
