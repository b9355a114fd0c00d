"""What is broken on purpose, and the counting that says whether a reading was lost or doubled.

Senders post readings that are known in advance over real HTTP, as careful devices do; a ledger remembers every answer;
watchers ask receipts all the time and look into the database whenever one says "stored"; at the end all is counted.
"""
