from twisted.application.service import ServiceMaker

shout = ServiceMaker("shout", "shout", "Answer each line in capitals.", "shout")
